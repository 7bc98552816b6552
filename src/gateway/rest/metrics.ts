import { metricsMediaType } from '../../metrics/exposition.ts';
import { contextOf } from '../context.ts';
import { unwrap } from './answer.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';

/** /metrics: what Prometheus scrapes, whatever it says that it accepts. */
export const metricsRoutes = ({ core }: Pick<RestOptions, 'core'>): RestRouter => {
  const router = createRouter();

  router.get('/metrics', async (ctx) => {
    const text = unwrap(await core.metrics(contextOf(ctx)));
    ctx.res.setHeader('Content-Type', metricsMediaType);
    ctx.status = 200;
    ctx.body = text;
  });

  return router;
};
