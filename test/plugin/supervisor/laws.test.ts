import test from 'ava';
import fc from 'fast-check';
import { blame, shareOut } from '../../../src/plugin/sandbox/supervisor/blame.ts';
import { settled, world } from './world.ts';

test('laws › whatever dies when, the guilty ends, the innocent runs, and hosts are told in order', async (t) => {
  const act = fc.record({
    what: fc.constantFrom('load', 'call', 'idle', 'alone', 'stop', 'time'),
    who: fc.nat(11),
    with: fc.subarray(Array.from({ length: 12 }, (_, index) => `p${index}`)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 60 }), async (acts) => {
      const { clock, simulated, sandbox, start } = world();
      const guests: Awaited<ReturnType<typeof start>>[] = [];
      for (let index = 0; index < 12; index += 1) guests.push(await start(`p${index}`));
      const bad = 'p7';
      const calls: Promise<unknown>[] = [];
      for (const { what, who, with: running } of acts) {
        const guest = guests[who];
        if (guest === undefined) continue;
        const process = simulated.of(bad);
        if (what === 'call') calls.push(guest.guest.call('hook:x', null, 60_000));
        else if (what === 'load') process?.die({ running: [...new Set([bad, ...running])] });
        else if (what === 'idle') process?.die({});
        else if (what === 'alone') process?.dispose(bad, { cause: 'cpu', reason: 'long', culprit: true });
        else if (what === 'stop' && guest.name !== bad) await guest.guest.stop(0);
        else if (what === 'time') clock.advance(who * 1_000);
        await settled();
        for (const { names } of simulated.alive()) {
          if (new Set(names()).size !== names().length || names().length > 25) throw new Error('placement');
        }
      }
      for (let round = 0; round < 200 && !guests[7]?.told.includes('ended'); round += 1) {
        const process = simulated.of(bad);
        process?.die({ running: process.names() });
        await settled();
        clock.advance(5_000);
        await settled();
      }
      for (const { name, told, guest } of guests) {
        const text = told.join(' ');
        if (!/^ready(?: down(?: down)* ready)*(?: down)*(?: ended)?$/.test(text)) throw new Error(text);
        if (name === bad && told.at(-1) !== 'ended') throw new Error('the guilty still runs');
        if (name !== bad && told.includes('ended')) throw new Error(`${name} was given up`);
        const answer = await guest.call('hook:x', null, 1);
        if (name !== bad && !answer.ok && answer.fault !== 'gone') throw new Error(answer.message);
      }
      await Promise.all(calls);
      await sandbox.close();
      return simulated.alive().length === 0;
    }),
    { numRuns: 150 },
  );
  t.pass();
});

test('laws › blame falls on one of those present, and shares are whole', (t) => {
  const names = fc.uniqueArray(fc.nat(30), { maxLength: 20 });
  fc.assert(
    fc.property(names, names, names, (members, culprits, marks) => {
      const known = culprits.filter((name) => members.includes(name)).slice(0, 1);
      const found = blame({ members, culprits: known, running: [], marked: (name) => marks.includes(name) });
      return (
        [...found.culprits, ...found.suspects].every((name) => members.includes(name)) &&
        found.suspects.length !== 1 &&
        (known.length === 0 || found.culprits === known)
      );
    }),
  );
  fc.assert(
    fc.property(names, fc.integer({ min: 1, max: 8 }), (items, most) => {
      const parts = shareOut(items, most);
      const sizes = parts.map(({ length }) => length);
      return (
        parts.length <= most &&
        parts.flat().length === items.length &&
        (sizes.length === 0 || (Math.min(...sizes) > 0 && Math.max(...sizes) - Math.min(...sizes) <= 1))
      );
    }),
  );
  t.pass();
});
