import type { DeadLetterView, Subscription } from '../../nexus-subscriptions.ts';
import {
  command,
  given,
  got,
  gotOrNull,
  jsonText,
  limitOf,
  type Resolve,
  type ResolverContext,
} from './resolving.ts';

const subscriptions: Resolve<object, readonly Subscription[]> = async (_, _args, { core, context }) =>
  got(await core.subscriptions(context)).subscriptions;

const subscription: Resolve<{ name: string }, Subscription | null> = async (_, { name }, { core, context }) =>
  gotOrNull(await core.subscription(name ?? '', context));

type LettersArgs = {
  subscription: string;
  first: number;
  after: string;
  errorLike: string;
  messageId: string;
};
const deadLetters: Resolve<LettersArgs, readonly DeadLetterView[]> = async (_, args, { core, context }) => {
  const { subscription: name = '', first, after, ...filter } = given(args);
  const place = after === undefined ? {} : { cursor: after };
  const query = { ...filter, ...place, ...limitOf('first', first) };
  return got(await core.deadLetters(name, query, context)).deadLetters;
};

export const subscriptionQueries = { subscriptions, subscription, deadLetters } as const;

/** Runs a command whose result is the subscription as it is then. */
const changing =
  (type: string): Resolve<{ name: string }, object> =>
  async (_, args, { executing, context }) => {
    const { result, created, position } = got(await executing.execute({ type, data: given(args) }, context));
    return { success: true, name: args.name, created, subscription: result, position };
  };

const deleteSubscription: Resolve<{ name: string; reason: string }, object> = async (_, args, at) => ({
  ...(await command('DeleteSubscription', given(args), at)),
  name: args.name,
});

type RemovalArgs = {
  subscription: string;
  messageIds: readonly string[];
  all: boolean;
  errorLike: string;
  payload: string;
};

/** `all: false` says nothing, as leaving it out. */
const removing = (type: string, args: Partial<RemovalArgs>, at: ResolverContext): Promise<object> => {
  const { subscription: name, all, payload, ...rest } = args;
  const data = {
    ...rest,
    name,
    ...(all === true ? { all } : {}),
    ...(payload === undefined ? {} : { payload: jsonText('payload', payload) }),
  };
  return command(type, data, at);
};

const redriveDeadLetters: Resolve<RemovalArgs, object> = async (_, args, at) =>
  removing('RedriveDeadLetters', given(args), at);

const discardDeadLetters: Resolve<Omit<RemovalArgs, 'payload'>, object> = async (_, args, at) =>
  removing('DiscardDeadLetters', given(args), at);

export const subscriptionMutations = {
  createSubscription: changing('CreateSubscription'),
  deleteSubscription,
  pauseSubscription: changing('PauseSubscription'),
  resumeSubscription: changing('ResumeSubscription'),
  resetSubscription: changing('ResetSubscription'),
  redriveDeadLetters,
  discardDeadLetters,
} as const;
