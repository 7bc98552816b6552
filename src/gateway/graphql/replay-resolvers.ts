import type { ReplayView } from '../../nexus-replays.ts';
import { command, given, got, type Resolve } from './resolving.ts';

const replays: Resolve<{ subscription: string }, readonly ReplayView[]> = async (
  _,
  { subscription },
  { core, context },
) => got(await core.replays(subscription ?? '', context)).replays;

export const replayQueries = { replays } as const;

/** Runs a command on the subscription that the arguments name. */
const running =
  (type: string): Resolve<{ subscription: string }, object> =>
  async (_, args, at) => {
    const { subscription: name, ...rest } = given(args);
    return command(type, { ...rest, name }, at);
  };

export const replayMutations = {
  replay: running('ReplayMessages'),
  stopReplays: running('StopReplays'),
} as const;
