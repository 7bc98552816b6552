import { ProblemError, problem } from '../../errors.ts';
import { negotiate, sendJson } from './answer.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';

/** /health, and the two probes that ask for no token: live (the process answers), ready (reads are served). */
export const healthRoutes = ({ core, isDraining }: RestOptions): RestRouter => {
  const router = createRouter();

  router.get('/health', async (ctx) => {
    negotiate(ctx);
    const health = await core.health();
    sendJson(ctx, health.status === 'down' ? 503 : 200, health);
  });

  router.get('/health/live', (ctx) => sendJson(ctx, 200, { status: 'ok' }));

  router.get('/health/ready', (ctx) => {
    if (isDraining()) throw new ProblemError(problem('shutting_down', 'The hub is shutting down'));
    if (!core.ready) throw new ProblemError(problem('not_ready', 'The read models are being rebuilt'));
    sendJson(ctx, 200, { status: 'ready' });
  });

  return router;
};
