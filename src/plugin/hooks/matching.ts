import { unreachable } from '../../../domain/decider.ts';
import { isPlainTopic, prefixOf, topicMatches } from '../../../domain/names.ts';
import type { HookName } from '../../../domain/plugin/manifest.ts';

/** True for the names that one of the patterns is for. */
export type Matches = (name: string) => boolean;

/** Names as they are, and prefixes with `*` behind them. */
const byPrefix = (patterns: readonly string[]): Matches => {
  const names = new Set(patterns.filter((pattern) => prefixOf(pattern) === undefined));
  const prefixes = patterns.map(prefixOf).filter((prefix) => prefix !== undefined);
  return (name) => names.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
};

const byTopic = (patterns: readonly string[]): Matches => {
  const topics = new Set(patterns.filter(isPlainTopic));
  const wild = patterns.filter((pattern) => !isPlainTopic(pattern));
  return (topic) => topics.has(topic) || wild.some((pattern) => topicMatches(pattern, topic));
};

/** @param patterns as the hook's declaration has them: of topics, keys, names of services, or paths. */
export const compileMatch = (hook: HookName, patterns: readonly string[]): Matches => {
  switch (hook) {
    case 'before_publish':
    case 'after_publish':
      return byTopic(patterns);
    case 'before_state_change':
    case 'after_state_change':
    case 'before_service_register':
    case 'before_service_invoke':
    case 'after_service_invoke':
    case 'on_request':
      return byPrefix(patterns);
    default:
      return unreachable(hook);
  }
};
