import { read, token, whenAdmitted } from './session.js';

/* Swagger UI on this hub's own document; what is tried out is sent to this hub with the reader's token. */
await whenAdmitted(async () => {
  const spec = await read('/openapi.json');
  globalThis.SwaggerUIBundle({
    spec,
    dom_id: '#swagger-ui',
    deepLinking: true,
    docExpansion: 'none',
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    filter: true,
    // Its own would be asked of another host.
    validatorUrl: null,
    requestInterceptor: (request) => {
      const headers = request.headers ?? {};
      const known = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization');
      if (!known && token() !== '') headers.Authorization = `Bearer ${token()}`;
      request.headers = headers;
      return request;
    },
  });
});
