import { given } from '../../given.ts';
import { contextOf } from '../context.ts';
import { commandData, markPosition, negotiate, pathText, sendJson, unwrap } from './answer.ts';
import { executeOnce } from './idempotency.ts';
import { invalidQuery, readQuery } from './query.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';

export const eventStreamType = 'text/event-stream';

/** /events and /topics: publishing, pages of what was published, the live tail. */
export const eventRoutes = ({ core, tails }: RestOptions): RestRouter => {
  const router = createRouter();

  router.post('/events/:topic', async (ctx) => {
    negotiate(ctx);
    const data = await commandData(ctx, { topic: pathText(ctx, 'topic') });
    const done = unwrap(await executeOnce(ctx, core, { type: 'PublishMessage', data }));
    markPosition(ctx, done);
    sendJson(ctx, done.created ? 201 : 200, done.result);
  });

  router.get('/events', async (ctx) => {
    const type = negotiate(ctx, ['application/json', eventStreamType]);
    const query = readQuery(ctx.url, ['topic', 'after', 'from', 'limit']);
    if (type === eventStreamType) {
      for (const name of ['from', 'limit']) {
        if (query.text(name) !== undefined) {
          throw invalidQuery([{ pointer: `/${name}`, detail: 'is not for a live tail, which takes after' }]);
        }
      }
      // A client that reconnects asks with the URL that it began with: what it has seen counts.
      const after = lastEventId(ctx.req.headers['last-event-id']) ?? query.text('after');
      const topic = query.text('topic') ?? '>';
      await tails.serve(ctx, (signal) => core.watchMessages(topic, { after, signal }, contextOf(ctx)));
      return;
    }
    const options = given({
      topic: query.text('topic'),
      after: query.text('after'),
      from: query.text('from'),
      limit: query.limit(),
    });
    sendJson(ctx, 200, unwrap(await core.messages(options, contextOf(ctx))));
  });

  router.get('/topics', async (ctx) => {
    negotiate(ctx);
    readQuery(ctx.url, []);
    sendJson(ctx, 200, unwrap(await core.topics(contextOf(ctx))));
  });

  return router;
};

/** An empty one is what a client sends that has seen nothing. */
const lastEventId = (given: string | string[] | undefined): string | undefined =>
  typeof given === 'string' && given !== '' ? given : undefined;
