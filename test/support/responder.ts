import { type Frame, openWs, type WsClient, type WsOptions } from './ws-client.ts';

export type Asked = {
  readonly messageId: string;
  readonly payload: unknown;
  readonly headers: Readonly<Record<string, string>>;
  readonly replyTo: string;
};

/** A request as a subscriber sees it. */
export const askedOf = (frame: Frame): Asked => {
  const { messageId, payload, headers } = frame as Omit<Asked, 'replyTo'>;
  return { messageId, payload, headers, replyTo: headers['nexus-reply-to'] ?? '' };
};

export type Responder = {
  readonly ws: WsClient;
  /** The next request that comes. */
  next(): Promise<Asked>;
};

/** A service without a port: subscribed to `topic` when this resolves. */
export const openResponder = async (url: string, topic: string, options?: WsOptions): Promise<Responder> => {
  const ws = await openWs(url, options);
  const subscribed = await ws.ask({ type: 'subscribe', topic });
  if (subscribed.type !== 'subscribed') throw new Error(JSON.stringify(subscribed));
  return { ws, next: async () => askedOf(await ws.waitForType('message')) };
};
