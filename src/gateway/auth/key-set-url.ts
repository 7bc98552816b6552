import { request } from 'undici';
import { type Clock, steadyNow, systemClock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import { maxKeySetBytes, parseKeySet, type VerificationKey } from './keys.ts';

export type KeySetUrlOptions = {
  readonly url: string;
  readonly logger: Logger;
  /** Takes the keys of the last good answer; none once they are too old. */
  readonly use: (keys: readonly VerificationKey[]) => void;
  /** Of a clock that is never set back. */
  readonly clock?: Clock;
  /** Of one fetch, its body included; 5,000 unless given. */
  readonly timeoutMs?: number;
};

export type KeySetUrl = {
  /** Fetches again for a key that nobody knows: undefined when that was tried a moment ago. Never rejects. */
  lookAgain(): Promise<void> | undefined;
  close(): void;
};

const defaultTimeoutMs = 5_000;
const refreshMs = 600_000;
const firstPauseMs = 5_000;
/** A `kid` that nobody knows is looked for no more often. */
const lookAgainMs = 30_000;
/** So long keys are believed after the last good answer. */
const keepMs = 86_400_000;

const steadyClock: Clock = { ...systemClock, now: steadyNow };

/**
 * Follows the key set at `url`: resolves when it was asked the first time, whatever came of it. One fetch is under way at
 * most; all who wait for keys wait for the same one.
 */
export const openKeySetUrl = async (options: KeySetUrlOptions): Promise<KeySetUrl> => {
  const { url, logger, use, clock = steadyClock, timeoutMs = defaultTimeoutMs } = options;
  const shownUrl = url.split('?', 1)[0];
  const closing = new AbortController();
  let fetching: Promise<void> | undefined;
  let cancelTimer = (): void => {};
  let askedAtMs = 0;
  let goodAtMs: number | undefined;
  let pauseMs = firstPauseMs;

  const take = async (): Promise<void> => {
    askedAtMs = clock.now();
    try {
      const set = parseKeySet(
        await fetchKeySet(url, AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs)])),
      );
      if (!set.ok) throw new Error(`what is there is not a usable key set: ${set.reason}`);
      if (set.passedOver.length > 0) {
        logger.warn({ url: shownUrl, passedOver: set.passedOver }, 'keys of the key set are not used');
      }
      goodAtMs = clock.now();
      pauseMs = firstPauseMs;
      use(set.keys);
      logger.debug({ url: shownUrl, keys: set.keys.length }, 'the key set was fetched');
      schedule(refreshMs);
    } catch (error) {
      if (closing.signal.aborted) return;
      const old = goodAtMs !== undefined && clock.now() - goodAtMs >= keepMs;
      if (old) {
        goodAtMs = undefined;
        use([]);
      }
      const rest = goodAtMs === undefined ? 'its tokens are refused' : 'the former keys stay';
      logger.warn(
        { err: error, url: shownUrl, againInMs: pauseMs },
        `the key set cannot be had, and ${rest}`,
      );
      schedule(pauseMs);
      pauseMs = Math.min(pauseMs * 2, refreshMs);
    }
  };

  const ask = (): Promise<void> => {
    cancelTimer();
    fetching ??= take().finally(() => {
      fetching = undefined;
    });
    return fetching;
  };

  const schedule = (delayMs: number): void => {
    cancelTimer();
    if (!closing.signal.aborted) cancelTimer = clock.after(delayMs, () => void ask());
  };

  await ask();
  return {
    lookAgain: () => fetching ?? (clock.now() - askedAtMs >= lookAgainMs ? ask() : undefined),
    close: () => {
      closing.abort();
      cancelTimer();
    },
  };
};

/** Follows no redirect: whoever may send one could send it anywhere. */
const fetchKeySet = async (url: string, signal: AbortSignal): Promise<Buffer> => {
  const { statusCode, body } = await request(url, { headers: { accept: 'application/json' }, signal });
  try {
    if (statusCode !== 200) throw new Error(`the answer is ${statusCode}`);
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body) {
      if (!Buffer.isBuffer(chunk)) continue;
      bytes += chunk.length;
      if (bytes > maxKeySetBytes) throw new Error(`the answer has more than ${maxKeySetBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    body.on('error', () => {}).destroy();
  }
};
