import { asRevision } from '../../../domain/event.ts';
import { LogError } from '../../../src/log/event-log.ts';
import { accepted, type Case, freshStream, ids, newEvent, newEvents } from './fixture.ts';

export const duplicateCases = (register: Case): void => {
  register(
    'append › of known ids with none or a revision answers their first places, however old',
    async (t, log) => {
      const stream = freshStream();
      const [first, second] = [newEvents(2), newEvents(2, 2)];
      const one = accepted(await log.append(stream, first, 'none'));
      const two = accepted(await log.append(stream, second, asRevision(1)));
      accepted(await log.append(stream, newEvents(3, 4), asRevision(3)));

      t.deepEqual(await log.append(stream, first, 'none'), { ...one, duplicate: true });
      t.deepEqual(await log.append(stream, second, asRevision(1)), { ...two, duplicate: true });
      t.is((await log.readStream(stream, { limit: 100 })).length, 7);
    },
  );

  register('append › of known ids with any or exists answers their first places', async (t, log) => {
    const stream = freshStream();
    const [first, second] = [newEvents(2), newEvents(2, 2)];
    const one = accepted(await log.append(stream, first, 'any'));
    const two = accepted(await log.append(stream, second, 'exists'));
    accepted(await log.append(stream, newEvents(3, 4), 'any'));

    t.deepEqual(await log.append(stream, first, 'any'), { ...one, duplicate: true });
    t.deepEqual(await log.append(stream, second, 'exists'), { ...two, duplicate: true });
    t.is((await log.readStream(stream, { limit: 100 })).length, 7);
  });

  for (const expected of ['none', 'any'] as const) {
    register(
      `append › of the same events 20 times at once with ${expected} writes them once`,
      async (t, log) => {
        const stream = freshStream();
        const events = newEvents(3);
        const results = await Promise.all(
          Array.from({ length: 20 }, () => log.append(stream, events, expected)),
        );
        const places = accepted(await log.append(stream, events, expected)).events;
        for (const result of results) t.deepEqual(accepted(result).events, places);
        t.is(results.filter((result) => result.ok && !result.duplicate).length, 1);
        t.deepEqual(ids(await log.readStream(stream, { limit: 100 })), ids(events));
      },
    );
  }

  register('append › knows the ids again after the log was closed and opened', async (t, log, opened) => {
    const [one, two] = [freshStream(), freshStream()];
    const [first, second] = [newEvents(2), newEvents(2)];
    const placesOfFirst = accepted(await log.append(one, first, 'none'));
    const placesOfSecond = accepted(await log.append(two, second, 'any'));
    const again = await opened.reopen();
    t.deepEqual(await again.append(one, first, 'none'), { ...placesOfFirst, duplicate: true });
    t.deepEqual(await again.append(two, second, 'any'), { ...placesOfSecond, duplicate: true });
  });

  register(
    'append › of known ids among new ones with a revision is invalid and writes nothing',
    async (t, log) => {
      const stream = freshStream();
      const known = newEvents(2);
      accepted(await log.append(stream, known, 'none'));
      await t.throwsAsync(log.append(stream, [...known, newEvent()], 'none'), {
        instanceOf: LogError,
        code: 'invalid',
      });
      t.is((await log.readStream(stream, { limit: 100 })).length, 2);
    },
  );

  register('append › of other ids where known ones stand is a conflict, not a duplicate', async (t, log) => {
    const stream = freshStream();
    accepted(await log.append(stream, newEvents(2), 'none'));
    const result = await log.append(stream, newEvents(2), 'none');
    t.deepEqual(result, { ok: false, stream, expected: 'none', actual: asRevision(1) });
  });
};
