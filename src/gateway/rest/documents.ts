import { asyncapiDocument } from '../documents/asyncapi/asyncapi.ts';
import { createDocument } from '../documents/document.ts';
import { openapiDocument } from '../documents/openapi.ts';
import { negotiate } from './answer.ts';
import { readQuery } from './query.ts';
import { createRouter, type RestRouter } from './router.ts';

/** /openapi.json and /asyncapi.json: what the hub offers, for programs. */
export const documentRoutes = (): RestRouter => {
  const router = createRouter();
  const documents = {
    '/openapi.json': createDocument(openapiDocument),
    '/asyncapi.json': createDocument(asyncapiDocument),
  };

  for (const [path, document] of Object.entries(documents)) {
    router.get(path, async (ctx) => {
      negotiate(ctx);
      readQuery(ctx.url, []);
      const { bytes, etag } = await document();
      ctx.status = 200;
      ctx.etag = etag;
      ctx.res.setHeader('Cache-Control', 'private, no-cache');
      if (ctx.fresh) {
        ctx.status = 304;
        return;
      }
      ctx.res.setHeader('Content-Type', 'application/json');
      ctx.body = bytes;
    });
  }
  return router;
};
