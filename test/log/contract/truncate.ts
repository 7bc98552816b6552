import { asRevision } from '../../../domain/event.ts';
import {
  accepted,
  type Capabilities,
  type Case,
  freshCategory,
  freshStream,
  newEvent,
  newEvents,
  numbers,
  readPages,
  revisions,
  watchEvents,
} from './fixture.ts';

export const truncateCases = (register: Case, capabilities: Capabilities): void => {
  register('truncate › hides what is older at once, and keeps revisions as they were', async (t, log) => {
    const stream = freshStream();
    await log.append(stream, newEvents(10), 'none');
    await log.truncate(stream, asRevision(6));
    t.deepEqual(revisions(await log.readStream(stream, { limit: 100 })), [6, 7, 8, 9]);
    t.deepEqual(revisions(await log.readStream(stream, { from: asRevision(2), limit: 2 })), [6, 7]);
    t.deepEqual(
      revisions(await log.readStream(stream, { limit: 100, direction: 'backwards' })),
      [9, 8, 7, 6],
    );
    t.deepEqual(
      await log.readStream(stream, { from: asRevision(3), limit: 100, direction: 'backwards' }),
      [],
    );
    t.deepEqual(await log.head(stream), { revision: asRevision(9), truncatedBefore: asRevision(6) });
    accepted(await log.append(stream, [newEvent({ n: 10 })], asRevision(9)));
    t.deepEqual(numbers(await log.readStream(stream, { limit: 100 })), [6, 7, 8, 9, 10]);
  });

  register('truncate › always leaves the newest event', async (t, log) => {
    const stream = freshStream();
    await log.append(stream, newEvents(3), 'none');
    await log.truncate(stream, asRevision(99));
    t.deepEqual(revisions(await log.readStream(stream, { limit: 100 })), [2]);
    t.deepEqual(await log.head(stream), { revision: asRevision(2), truncatedBefore: asRevision(2) });
    const result = await log.append(stream, [newEvent()], 'none');
    t.deepEqual(result, { ok: false, stream, expected: 'none', actual: asRevision(2) });
  });

  register('truncate › never lowers an earlier mark', async (t, log) => {
    const stream = freshStream();
    await log.append(stream, newEvents(10), 'none');
    await log.truncate(stream, asRevision(7));
    await log.truncate(stream, asRevision(3));
    t.deepEqual(revisions(await log.readStream(stream, { limit: 100 })), [7, 8, 9]);
  });

  register('truncate › of a stream that has no event changes nothing', async (t, log) => {
    const stream = freshStream();
    await log.truncate(stream, asRevision(5));
    t.is(await log.head(stream), undefined);
    accepted(await log.append(stream, newEvents(1), 'none'));
    t.deepEqual(revisions(await log.readStream(stream, { limit: 100 })), [0]);
  });

  register('truncate › is remembered when the log is opened again', async (t, log, opened) => {
    const stream = freshStream();
    await log.append(stream, newEvents(5), 'none');
    await log.truncate(stream, asRevision(3));
    const again = await opened.reopen();
    t.deepEqual(revisions(await again.readStream(stream, { limit: 100 })), [3, 4]);
    t.deepEqual(await again.head(stream), { revision: asRevision(4), truncatedBefore: asRevision(3) });
  });

  if (capabilities.hidesTruncatedFromAll) {
    register('truncate › hides from readAll and watch too', async (t, log) => {
      const category = freshCategory();
      const [one, two] = [freshStream(category), freshStream(category)];
      const after = await log.position();
      for (let n = 0; n < 10; n++) await log.append(n % 2 === 0 ? one : two, [newEvent({ n })], 'any');
      await log.truncate(one, asRevision(3));
      const left = [1, 3, 5, 6, 7, 8, 9];
      t.deepEqual(numbers(await readPages(t, log, { after, category, limit: 2 })), left);
      const all = await readPages(t, log, { after, limit: 3 });
      t.deepEqual(numbers(all.filter((event) => event.stream.startsWith(`${category}-`))), left);
      t.deepEqual(numbers(await watchEvents(t, log, { after, category, count: 7 })), left);
    });
  }

  if (capabilities.scavenges) {
    register(
      'scavenge › frees what was truncated and changes nothing that can be read',
      async (t, log, opened) => {
        const category = freshCategory();
        const [one, two] = [freshStream(category), freshStream(category)];
        const after = await log.position();
        for (let n = 0; n < 40; n++) {
          await log.append(n % 2 === 0 ? one : two, [newEvent({ n, pad: 'x'.repeat(500) })], 'any');
        }
        await log.truncate(one, asRevision(18));
        const before = {
          one: await log.readStream(one, { limit: 100 }),
          two: await log.readStream(two, { limit: 100 }),
          all: await readPages(t, log, { after, category, limit: 7 }),
        };
        const freed = await log.scavenge();
        t.true(freed.events >= 18);
        t.true(freed.bytes >= 18 * 500);
        for (const open of [async () => log, () => opened.reopen()]) {
          const now = await open();
          t.deepEqual(await now.readStream(one, { limit: 100 }), before.one);
          t.deepEqual(await now.readStream(two, { limit: 100 }), before.two);
          if (capabilities.hidesTruncatedFromAll) {
            t.deepEqual(await readPages(t, now, { after, category, limit: 7 }), before.all);
          }
          t.deepEqual(await now.head(one), { revision: asRevision(19), truncatedBefore: asRevision(18) });
          if (now === log) continue;
          accepted(await now.append(one, [newEvent()], asRevision(19)));
        }
      },
    );
  }
};
