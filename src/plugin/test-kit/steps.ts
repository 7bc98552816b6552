import { given } from '../../given.ts';
import type { PluginTestKit, Step } from './api.ts';

/** Who does what nobody else is said to do. */
export const defaultSubject = 'test';

const command = (text: string, type: string, data: object): Step => ({
  subject: defaultSubject,
  text,
  action: { type: 'command', command: type, data: { ...data } },
});

export const by: PluginTestKit['by'] = (subject, step) => ({ ...step, subject });

export const publish: PluginTestKit['publish'] = (topic, payload, options = {}) =>
  command(`publish ${topic}`, 'PublishMessage', { topic, payload, ...given(options) });

export const set: PluginTestKit['set'] = (key, value, options = {}) =>
  command(`set ${key}`, 'SetState', { key, value, ...given(options) });

export const remove: PluginTestKit['remove'] = (key) => command(`remove ${key}`, 'DeleteState', { key });

export const increment: PluginTestKit['increment'] = (key, amount = 1) =>
  command(`increment ${key}`, 'IncrementState', { key, by: amount });

export const register: PluginTestKit['register'] = (service) =>
  command(`register ${service.name}`, 'RegisterService', {
    version: '1.0.0',
    ...('host' in service ? {} : { reach: 'socket' }),
    ...service,
  });

export const invoke: PluginTestKit['invoke'] = (service, method, data = null) => ({
  subject: defaultSubject,
  text: `invoke ${service}/${method}`,
  action: { type: 'invoke', service, method, data },
});

export const request: PluginTestKit['request'] = (method, path, options = {}) => ({
  subject: defaultSubject,
  text: `${method} ${path}`,
  action: { type: 'request', method, path, options },
});
