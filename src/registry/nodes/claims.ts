import type { Logger } from '../../logger.ts';
import type { Instance } from '../instance.ts';
import type { Schedule } from '../schedule.ts';

/** Says in the log which node the WebSocket of an instance is open to, so that the others call it there. */
export type Claims = {
  /** Resolves once that was written, or could not be: then it is tried again for as long as the socket is open. */
  claim(instance: Instance): Promise<void>;
  /** It is being written: what the log says of the instance now is older than its socket. */
  isClaiming(id: string): boolean;
};

export type ClaimsOptions = {
  readonly node: string;
  readonly logger: Logger;
  readonly schedule: Schedule;
  readonly now: () => number;
  readonly hasSocket: (id: string) => boolean;
  /** Writes it. Must settle within its own time limit. */
  readonly attach: (id: string) => Promise<void>;
};

const retryMs = 1_000;

export const createClaims = (options: ClaimsOptions): Claims => {
  const { node, logger, schedule, now, hasSocket, attach } = options;
  const claiming = new Set<string>();

  const claim = async (instance: Instance): Promise<void> => {
    const { id } = instance;
    if (instance.document.servedBy === node || !hasSocket(id) || claiming.has(id)) return;
    claiming.add(id);
    try {
      await attach(id);
    } catch (error) {
      logger.warn({ err: error, service: id, retryMs }, 'where a service is called could not be written');
      schedule.alarm(now() + retryMs, () => void claim(instance));
    } finally {
      claiming.delete(id);
    }
  };

  return { claim, isClaiming: (id) => claiming.has(id) };
};
