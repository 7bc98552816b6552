import { pluginSubjectPrefix, type Subject } from '../access.ts';
import type { PluginPermissions } from './manifest.ts';

/**
 * Who a plugin is for the hub: the scopes are its permissions on topics, keys and services, and `plugin/{name}/` is its
 * own. `allows` keeps it out of all other keys that are reserved. Fetching, hooks and resolvers are no scopes.
 */
export const pluginSubject = (name: string, permissions: PluginPermissions): Subject => ({
  id: `${pluginSubjectPrefix}${name}`,
  scopes: [
    `state:read:plugin/${name}/*`,
    ...permissions.publish.map((pattern) => `events:publish:${pattern}`),
    ...permissions.subscribe.map((pattern) => `events:read:${pattern}`),
    ...permissions.state.read.map((pattern) => `state:read:${pattern}`),
    ...permissions.state.write.map((pattern) => `state:write:${pattern}`),
    ...(permissions.services.list ? ['services:read'] : []),
    ...permissions.services.invoke.map((pattern) => `services:invoke:${pattern}`),
  ],
});
