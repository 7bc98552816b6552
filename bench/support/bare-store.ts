import { streamId } from '../../domain/event.ts';
import { newId } from '../../src/ids.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';

const readJson = async (request: NodeJS.ReadableStream): Promise<Record<string, unknown>> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return JSON.parse(Buffer.concat(chunks).toString());
};

/**
 * What the bare servers serve: the hub's durable append and nothing else, no checks, no limits, no read models but a map of
 * the newest entries.
 */
export const createBareStore = async (directory: string) => {
  const log = await openEmbeddedLog({ directory });
  const entries = new Map<string, object>();

  const append = async (stream: string, type: string, data: unknown) => {
    const id = newId();
    const metadata = { actor: 'bare', correlationId: id, causationId: null, node: 'bare', schema: 1 };
    const result = await log.append(streamId('state', stream), [{ id, type, data, metadata }], 'any');
    return { id, place: result.ok ? result.events[0] : undefined };
  };

  return {
    get: (key: string): object | undefined => entries.get(key),
    put: async (key: string, request: NodeJS.ReadableStream) => {
      const { value } = await readJson(request);
      const { place } = await append(key, 'StateSet', { value });
      const version = (place?.revision ?? 0) + 1;
      const position = place?.position;
      const entry = { key, value, version, updatedAt: new Date().toISOString(), updatedBy: 'bare', position };
      entries.set(key, entry);
      return { key, value, version, position };
    },
    publish: async (topic: string, request: NodeJS.ReadableStream) => {
      const { payload } = await readJson(request);
      const { id, place } = await append(topic, 'MessagePublished', { payload });
      return { messageId: id, topic, position: place?.position };
    },
  };
};
