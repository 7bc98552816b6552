import { type Context, Reply } from 'zeromq';
import type { Logger } from '../../../logger.ts';
import { encodeZ85 } from './keys.ts';

export type Zap = { close(): Promise<void> };

const endpoint = 'inproc://zeromq.zap.01';
const version = '1.0';

/**
 * The authenticator of a context (ZeroMQ RFC 27): libzmq asks it for every client of its CURVE sockets, and lets in any
 * key at all when there is none. So it must be open before the first socket, and closed behind the last.
 *
 * @param admit whether the socket of this ZAP domain takes the client with this public key (Z85).
 */
export const openZap = async (
  context: Context,
  admit: (domain: string, publicKey: string) => boolean,
  logger: Logger,
): Promise<Zap> => {
  const socket = new Reply({ context, linger: 0 });
  await socket.bind(endpoint);

  const admits = (frames: readonly Buffer[]): boolean => {
    const [asked, , domain, , , mechanism, key] = frames;
    return (
      frames.length === 7 &&
      String(asked) === version &&
      String(mechanism) === 'CURVE' &&
      key?.length === 32 &&
      admit(String(domain), encodeZ85(key))
    );
  };
  const serve = async (): Promise<void> => {
    for await (const frames of socket) {
      const [status, text] = admits(frames) ? ['200', 'OK'] : ['400', 'Not known here'];
      await socket.send([version, frames[1] ?? '', status, text, '', '']);
    }
  };
  const served = serve().catch((error: unknown) => {
    if (!socket.closed) logger.error({ err: error }, 'ZeroMQ lets nobody in any more');
  });

  return {
    close: async () => {
      socket.close();
      await served;
    },
  };
};
