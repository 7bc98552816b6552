import type { Dispatcher } from 'undici';
import type { Targets } from './targets.ts';

type Loaded = { readonly dispatcher: Dispatcher; readonly request: typeof import('undici').request };

/** undici and what is made with it. The process stands still for some 50 ms when it is loaded first. */
export const loadUndici = () => import('./undici.ts');

/** Sends requests over connections to checked addresses (undici.ts). */
export type CallAgent = Pick<Dispatcher, 'dispatch'> & {
  /** For what wants undici's own way of asking. */
  dispatcher(): Promise<Loaded>;
  /** Resolves when what is under way is over. */
  close(): Promise<void>;
  destroy(): Promise<void>;
};

/**
 * A pool of connections, at most `connections` per origin. undici, a fifth of all that a hub loads, comes when it is first
 * needed: many hubs call nobody, and the others are up sooner.
 */
export const createAgent = (targets: Pick<Targets, 'check'>, connections: number): CallAgent => {
  let loading: Promise<Loaded> | undefined;
  let loaded: Loaded | undefined;
  let destroyed = false;
  const load = async (): Promise<Loaded> => {
    const { openAgent, request } = await loadUndici();
    loaded = { dispatcher: openAgent(targets, connections), request };
    if (destroyed) await loaded.dispatcher.destroy();
    return loaded;
  };
  const dispatcher = (): Promise<Loaded> => {
    loading ??= load();
    return loading;
  };
  return {
    dispatcher,
    dispatch: (options, handler) => {
      if (loaded !== undefined) return loaded.dispatcher.dispatch(options, handler);
      dispatcher()
        .then((ready) => ready.dispatcher.dispatch(options, handler))
        .catch((error: unknown) =>
          handler.onError?.(error instanceof Error ? error : new Error(String(error))),
        );
      return true;
    },
    close: async () => (await loading)?.dispatcher.close(),
    destroy: async () => {
      destroyed = true;
      await (await loading)?.dispatcher.destroy();
    },
  };
};
