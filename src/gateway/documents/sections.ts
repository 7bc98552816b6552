import type { Section } from './describe.ts';
import { credentials } from './operations/credentials.ts';
import { hub } from './operations/hub.ts';
import { messages } from './operations/messages.ts';
import { plugins } from './operations/plugins.ts';
import { services } from './operations/services.ts';
import { state } from './operations/state.ts';
import { subscriptions } from './operations/subscriptions.ts';

/** In reading order: what an example needs was made by one before it. */
export const sections: readonly Section[] = [
  state,
  messages,
  subscriptions,
  services,
  credentials,
  plugins,
  hub,
];
