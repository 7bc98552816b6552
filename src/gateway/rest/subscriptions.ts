import { batchType } from '../../bus/cloudevents/structured.ts';
import { given } from '../../given.ts';
import type { CommandDone, Context } from '../../nexus-core.ts';
import type { Delivery, Settled, Settlement } from '../../nexus-subscriptions.ts';
import { readJson } from '../body.ts';
import { contextOf } from '../context.ts';
import {
  commandData,
  markPosition,
  negotiate,
  pathText,
  type RestContext,
  sendJson,
  sendNothing,
  unwrap,
} from './answer.ts';
import { sendDeliveries } from './cloudevents.ts';
import { createAnswers, executeOnce, refuseKey } from './idempotency.ts';
import { readQuery } from './query.ts';
import { addReplayRoutes } from './replays.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';

const settlements: readonly Settlement[] = ['ack', 'nak', 'term', 'extend'];

/** Routes whose answer is the subscription as it is then. */
const changes = {
  reset: 'ResetSubscription',
  pause: 'PauseSubscription',
  resume: 'ResumeSubscription',
} as const;

/** Routes that take dead letters away, and answer how many. */
const removals = { redrive: 'RedriveDeadLetters', discard: 'DiscardDeadLetters' } as const;

/** /subscriptions: durable subscriptions, their deliveries and their dead letters. */
export const subscriptionRoutes = ({ core, logger, askers }: RestOptions): RestRouter => {
  const router = createRouter();
  const answers = createAnswers<Settled>();

  const change = async (ctx: RestContext, type: string): Promise<CommandDone> => {
    const data = await commandData(ctx, { name: pathText(ctx, 'name') });
    const done = unwrap(await executeOnce(ctx, core, { type, data }));
    markPosition(ctx, done);
    return done;
  };

  router.get('/subscriptions', async (ctx) => {
    negotiate(ctx);
    readQuery(ctx.url, []);
    sendJson(ctx, 200, unwrap(await core.subscriptions(contextOf(ctx))));
  });

  router.get('/subscriptions/:name', async (ctx) => {
    negotiate(ctx);
    readQuery(ctx.url, []);
    sendJson(ctx, 200, unwrap(await core.subscription(pathText(ctx, 'name'), contextOf(ctx))));
  });

  router.put('/subscriptions/:name', async (ctx) => {
    negotiate(ctx);
    const done = await change(ctx, 'CreateSubscription');
    sendJson(ctx, done.created ? 201 : 200, done.result);
  });

  router.delete('/subscriptions/:name', async (ctx) => {
    await change(ctx, 'DeleteSubscription');
    sendNothing(ctx);
  });

  for (const [route, type] of Object.entries(changes)) {
    router.post(`/subscriptions/:name/${route}`, async (ctx) => {
      negotiate(ctx);
      sendJson(ctx, 200, (await change(ctx, type)).result);
    });
  }

  /** What the client did not get is given back at once, so that another consumer has it without delay. */
  const handOver = (ctx: RestContext, name: string, deliveries: readonly Delivery[], context: Context) => {
    const { res } = ctx;
    const giveBack = (): void => {
      if (res.writableFinished || deliveries.length === 0) return;
      const names = deliveries.map(({ delivery }) => delivery);
      core.giveBack(name, names, context).catch((error: unknown) => {
        logger.warn({ err: error, subscription: name }, 'deliveries could not be given back: they time out');
      });
    };
    if (res.destroyed) giveBack();
    else res.once('close', giveBack);
  };

  router.post('/subscriptions/:name/pull', async (ctx) => {
    const type = negotiate(ctx, ['application/json', batchType]);
    unwrap(refuseKey(ctx, 'what a pull brings is not recorded'));
    const name = pathText(ctx, 'name');
    const context = contextOf(ctx);
    const data = (await readJson(ctx.req)) ?? {};
    const pulled = await askers.whileOpen(ctx, (signal) => core.pull(name, data, context, signal));
    const { deliveries } = unwrap(pulled);
    handOver(ctx, name, deliveries, context);
    if (type === batchType) sendDeliveries(ctx, deliveries);
    else sendJson(ctx, 200, { deliveries });
  });

  for (const how of settlements) {
    router.post(`/subscriptions/:name/${how}`, async (ctx) => {
      negotiate(ctx);
      const data = (await readJson(ctx.req)) ?? {};
      const settle = () => core.settle(how, pathText(ctx, 'name'), data, contextOf(ctx));
      sendJson(ctx, 200, unwrap(await answers.once(ctx, data, settle)));
    });
  }

  router.get('/subscriptions/:name/dead-letters', async (ctx) => {
    negotiate(ctx);
    const query = readQuery(ctx.url, ['limit', 'cursor', 'errorLike', 'messageId']);
    const options = given({
      limit: query.limit(),
      cursor: query.text('cursor'),
      errorLike: query.text('errorLike'),
      messageId: query.text('messageId'),
    });
    const page = await core.deadLetters(pathText(ctx, 'name'), options, contextOf(ctx));
    sendJson(ctx, 200, unwrap(page));
  });

  for (const [route, type] of Object.entries(removals)) {
    router.post(`/subscriptions/:name/dead-letters/${route}`, async (ctx) => {
      negotiate(ctx);
      sendJson(ctx, 200, (await change(ctx, type)).result);
    });
  }

  addReplayRoutes(router, core);
  return router;
};
