/// <reference types="node" />

import type { PluginTestKit } from './api.ts';

/**
 * The module `nexus-integration-core/plugin-test` as authors see it: without the types of the whole hub, which stands behind it.
 * A test holds it to src/plugin/test-kit.ts.
 */
export type * from './api.ts';

export declare const openPluginTest: PluginTestKit['openPluginTest'];
export declare const by: PluginTestKit['by'];
export declare const publish: PluginTestKit['publish'];
export declare const set: PluginTestKit['set'];
export declare const remove: PluginTestKit['remove'];
export declare const increment: PluginTestKit['increment'];
export declare const register: PluginTestKit['register'];
export declare const invoke: PluginTestKit['invoke'];
export declare const request: PluginTestKit['request'];
