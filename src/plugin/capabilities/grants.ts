import { allows, describeRequirement, type Requirement, type Subject } from '../../../domain/access.ts';
import { unreachable } from '../../../domain/decider.ts';
import { isReservedKey, prefixOf } from '../../../domain/names.ts';
import type { PluginPermissions } from '../../../domain/plugin/manifest.ts';
import { pluginSubject } from '../../../domain/plugin/scopes.ts';
import { validate } from '../../core/validate.ts';
import { invalid, ok, type Result } from '../../errors.ts';
import type { Wish } from '../sandbox/sandbox.ts';
import { isWishOperation, type WishData, type WishOperation, wishOperations, wishSchemas } from './wishes.ts';

/** A wish whose data has passed its schema. */
export type WishRequest = {
  [Operation in WishOperation]: { readonly operation: Operation; readonly data: WishData<Operation> };
}[WishOperation];

export const parseWish = ({ operation, data }: Wish): Result<WishRequest> => {
  if (!isWishOperation(operation)) {
    return invalid('/operation', `must be one of ${wishOperations.join(', ')}`);
  }
  const checked = validate(wishSchemas[operation], data);
  // The schema that `operation` names has made the data; the pair is the union's member.
  return checked.ok ? ok({ operation, data: checked.value } as WishRequest) : checked;
};

export type StateSelector = { readonly key: string } | { readonly prefix: string };

export const selectorOf = (selector: string): StateSelector => {
  const prefix = prefixOf(selector);
  return prefix === undefined ? { key: selector } : { prefix };
};

const requirementOf = (request: Exclude<WishRequest, { operation: 'fetch' }>): Requirement | undefined => {
  const { operation } = request;
  switch (operation) {
    case 'publish':
      return { scope: 'events:publish', topic: request.data.topic };
    case 'subscribe':
      return { scope: 'events:read', topic: request.data.pattern };
    case 'state.get':
      return { scope: 'state:read', key: request.data.key };
    case 'state.set':
    case 'state.delete':
      return { scope: 'state:write', key: request.data.key };
    case 'state.list':
      return { scope: 'state:read', prefix: request.data.prefix };
    case 'state.watch':
      return { scope: 'state:read', ...selectorOf(request.data.selector) };
    case 'services.list':
      return { scope: 'services:read' };
    case 'services.invoke':
      return { scope: 'services:invoke', service: request.data.service };
    case 'unsubscribe':
    case 'state.unwatch':
      return undefined;
    default:
      return unreachable(operation);
  }
};

const describe = (requirement: Requirement): string =>
  requirement.scope === 'state:write' && isReservedKey(requirement.key)
    ? `state:write:${requirement.key}`
    : describeRequirement(requirement);

/** What one plugin was granted. */
export type Grants = {
  readonly subject: Subject;
  /** The scope, or `fetch:` and the origin, that the wish needs and the plugin has not; undefined when it has it. */
  missing(request: WishRequest): string | undefined;
};

export const createGrants = (name: string, permissions: PluginPermissions): Grants => {
  const subject = pluginSubject(name, permissions);
  return {
    subject,
    missing(request) {
      if (request.operation === 'fetch') {
        // What is no URL has no origin, and is told so behind this.
        const origin = URL.parse(request.data.url)?.origin;
        return origin === undefined || permissions.fetch.includes(origin) ? undefined : `fetch:${origin}`;
      }
      const requirement = requirementOf(request);
      if (requirement === undefined || allows(subject, requirement)) return undefined;
      return describe(requirement);
    },
  };
};
