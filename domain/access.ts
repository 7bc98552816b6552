import { unreachable } from './decider.ts';
import {
  isReservedKey,
  isServiceName,
  isStatePattern,
  isStatePrefix,
  isTopicPattern,
  patternContains,
  pluginOfKey,
  prefixOf,
  reservedPrefixes,
} from './names.ts';

/**
 * Scopes as the token carries them (docs/protocol.md): what a subject may do, as data.
 * Patterns are compared by containment, never by regular expression.
 */
export type Subject = {
  readonly id: string;
  readonly scopes: readonly string[];
};

/** Begins the subject of each plugin, and of nobody else (domain/subject-name.ts). */
export const pluginSubjectPrefix = 'plugin:';
/** Begins the subject of an API key that was given none. */
export const keySubjectPrefix = 'key:';

/** What an operation needs. `topic` may be a pattern: then the granted pattern must contain it. */
export type Requirement =
  | { readonly scope: 'services:read' | 'services:write' | 'log:read' | 'plugins:admin' | 'admin' }
  | { readonly scope: 'services:invoke'; readonly service: string }
  | { readonly scope: 'events:publish' | 'events:read'; readonly topic: string }
  | { readonly scope: 'state:read' | 'state:write'; readonly key: string }
  /** A whole prefix: the granted prefix must contain it. */
  | { readonly scope: 'state:read'; readonly prefix: string };

const plainScopes: ReadonlySet<string> = new Set([
  'services:read',
  'services:write',
  'log:read',
  'plugins:admin',
  'admin',
]);

/** A service name, a prefix of names and `*` behind it, or `*`. */
export const isServicePattern = (pattern: string): boolean => {
  const prefix = prefixOf(pattern);
  return prefix === '' || isServiceName(prefix ?? pattern);
};

/** True for what one scope may be: its name, and a well-formed pattern behind it where it takes one. */
export const isScope = (text: string): boolean => {
  if (plainScopes.has(text)) return true;
  const [area = '', verb = '', ...rest] = text.split(':');
  const pattern = rest.join(':');
  // Spaces stand between scopes.
  if (text.includes(' ')) return false;
  switch (`${area}:${verb}`) {
    case 'services:invoke':
      return isServicePattern(pattern);
    case 'events:publish':
    case 'events:read':
      return isTopicPattern(pattern);
    case 'state:read':
    case 'state:write':
      return isStatePattern(pattern);
    default:
      return false;
  }
};

/** Everything behind `name:` of a scope, or undefined for a scope of another name. */
const patternOf = (scope: string, name: string): string | undefined =>
  scope.startsWith(name) && scope.charCodeAt(name.length) === 58 ? scope.slice(name.length + 1) : undefined;

/** A service name, `prefix*` or `*`. */
const coversService = (pattern: string, service: string): boolean => {
  const prefix = prefixOf(pattern);
  if (prefix === undefined) return pattern === service && isServiceName(service);
  return service.startsWith(prefix) && (prefix === '' || isServiceName(prefix));
};

const coversTopic = (pattern: string, topic: string): boolean =>
  patternContains(pattern, topic) && isTopicPattern(pattern);

const coversKey = (pattern: string, key: string): boolean => {
  const prefix = prefixOf(pattern);
  if (prefix === undefined) return pattern === key && key !== '';
  return key.startsWith(prefix) && isStatePrefix(prefix);
};

/** A single key, granted, never covers a prefix: more keys than that one begin with it. */
const coversPrefix = (pattern: string, wanted: string): boolean => {
  const prefix = prefixOf(pattern);
  return prefix !== undefined && wanted.startsWith(prefix) && isStatePrefix(prefix);
};

/** What a scope's pattern must cover for the requirement to be met. */
const covers = (pattern: string, requirement: Requirement): boolean => {
  switch (requirement.scope) {
    case 'services:invoke':
      return coversService(pattern, requirement.service);
    case 'events:publish':
    case 'events:read':
      return coversTopic(pattern, requirement.topic);
    case 'state:read':
      return 'prefix' in requirement
        ? coversPrefix(pattern, requirement.prefix)
        : coversKey(pattern, requirement.key);
    case 'state:write':
      return coversKey(pattern, requirement.key) && !isReservedKey(requirement.key);
    default:
      return false;
  }
};

/** A requirement that no pattern narrows. */
const isPlain = (requirement: Requirement): boolean =>
  !('service' in requirement || 'topic' in requirement || 'key' in requirement || 'prefix' in requirement);

/** The keys under `plugin/NAME/` are the plugin's to write, whatever its scopes. */
const isOwnPluginKey = ({ id }: Subject, key: string): boolean => {
  if (!id.startsWith(pluginSubjectPrefix)) return false;
  const plugin = pluginOfKey(key);
  return plugin !== undefined && id === `${pluginSubjectPrefix}${plugin}`;
};

/** Keys, or prefixes of keys, that no scope lets a plugin read: the hub's, and those of other plugins. */
const isKeptFromPlugin = (subject: Subject, requirement: Requirement): boolean => {
  if (requirement.scope !== 'state:read' || !subject.id.startsWith(pluginSubjectPrefix)) return false;
  if ('key' in requirement)
    return isReservedKey(requirement.key) && !isOwnPluginKey(subject, requirement.key);
  const { prefix } = requirement;
  const reachesIn = reservedPrefixes.some((reserved) => reserved.startsWith(prefix)) || isReservedKey(prefix);
  return reachesIn && !isOwnPluginKey(subject, prefix);
};

/**
 * True when one of the subject's scopes covers all that is required; several never add up. `admin` covers everything,
 * and a malformed scope nothing. Compares from the left, once per scope: no regular expression is made of a pattern.
 */
export const allows = (subject: Subject, requirement: Requirement): boolean => {
  const { scope: name } = requirement;
  if (name === 'state:write' && isOwnPluginKey(subject, requirement.key)) return true;
  if (isKeptFromPlugin(subject, requirement)) return false;
  return subject.scopes.some((scope) => {
    if (scope === 'admin') return true;
    if (!scope.startsWith(name)) return false;
    const pattern = patternOf(scope, name);
    return pattern === undefined ? scope === name && isPlain(requirement) : covers(pattern, requirement);
  });
};

/** The least scope that would meet the requirement, e.g. `state:write:app/x`; what `forbidden` names. */
export const describeRequirement = (requirement: Requirement): string => {
  switch (requirement.scope) {
    case 'services:invoke':
      return `${requirement.scope}:${requirement.service}`;
    case 'events:publish':
    case 'events:read':
      return `${requirement.scope}:${requirement.topic}`;
    case 'state:read':
      return `${requirement.scope}:${'prefix' in requirement ? `${requirement.prefix}*` : requirement.key}`;
    case 'state:write':
      return isReservedKey(requirement.key) ? 'admin' : `${requirement.scope}:${requirement.key}`;
    case 'services:read':
    case 'services:write':
    case 'log:read':
    case 'plugins:admin':
    case 'admin':
      return requirement.scope;
    default:
      return unreachable(requirement);
  }
};
