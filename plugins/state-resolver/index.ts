import type { PluginContext } from 'nexus-integration-core/plugin';
import { createHighestWins, createUnionById, type OnClash } from './resolvers.ts';

type Config = {
  readonly rank: string;
  readonly items: string;
  readonly id: string;
  readonly onClash: OnClash;
};

export const initialize = ({ config, resolvers }: PluginContext<Config>): void => {
  resolvers.register('highest-wins', createHighestWins(config.rank));
  resolvers.register('union-by-id', createUnionById(config));
};
