import { asRevision } from '../../../domain/event.ts';
import { LogError } from '../../../src/log/event-log.ts';
import {
  accepted,
  type Case,
  freshCategory,
  freshStream,
  ids,
  newEvent,
  newEvents,
  readPages,
} from './fixture.ts';

export const lifeCases = (register: Case): void => {
  register('open › finds every event where it was, and goes on behind it', async (t, log, opened) => {
    const category = freshCategory();
    const after = await log.position();
    const streams = Array.from({ length: 5 }, () => freshStream(category));
    for (let n = 0; n < 20; n++) await log.append(streams[n % 5] ?? freshStream(), [newEvent({ n })], 'any');
    const before = await readPages(t, log, { after, category, limit: 100 });
    const again = await opened.reopen();
    t.deepEqual(await readPages(t, again, { after, category, limit: 100 }), before);
    const [stream] = streams;
    if (stream === undefined) return t.fail();
    const { events } = accepted(await again.append(stream, [newEvent()], asRevision(3)));
    t.true((events[0]?.position ?? '') > (before.at(-1)?.position ?? ''));
    t.is(events[0]?.revision, asRevision(4));
  });

  register('close › settles what is in flight: what was acknowledged is there', async (t, log, opened) => {
    const stream = freshStream();
    const events = newEvents(50);
    const outcomes = events.map((event) =>
      log.append(stream, [event], 'any').then(
        (result) => result.ok,
        () => false,
      ),
    );
    await log.close();
    const settled = await Promise.all(outcomes);
    const again = await opened.reopen();
    const there = new Set(ids(await again.readStream(stream, { limit: 1_000 })));
    for (const [index, event] of events.entries()) if (settled[index]) t.true(there.has(event.id));
  });

  register('close › is idempotent, and every later call is log_closed', async (t, log) => {
    const stream = freshStream();
    await log.append(stream, newEvents(1), 'none');
    await Promise.all([log.close(), log.close()]);
    await log.close();
    const closed = { instanceOf: LogError, code: 'log_closed' };
    await t.throwsAsync(log.append(stream, [newEvent()], 'any'), closed);
    await t.throwsAsync(log.readStream(stream, { limit: 1 }), closed);
    await t.throwsAsync(log.readAll({ limit: 1 }), closed);
    await t.throwsAsync(log.head(stream), closed);
    await t.throwsAsync(log.truncate(stream, asRevision(0)), closed);
  });

  register('durability › is said in a sentence', async (t, log) => {
    t.true(['embedded', 'redis', 'eventstoredb'].includes(log.kind));
    t.is(typeof log.durability.durable, 'boolean');
    t.true(log.durability.note.length > 0);
    t.true(log.reachable);
  });
};
