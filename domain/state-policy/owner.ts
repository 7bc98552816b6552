import { pluginSubjectPrefix, type Subject } from '../access.ts';
import { pluginOfKey } from '../names.ts';
import type { KeyRules } from './lookup.ts';
import type { StateOwner } from './policy.ts';

/** An owner, and the pattern of the keys that are its own. */
export type OwnedBy = { readonly pattern: string; readonly by: StateOwner };

/** Whose `key` is, undefined for nobody's. What a plugin has under its own name is no policy's to give away. */
export const ownerOf = (key: string, { owner }: KeyRules): OwnedBy | undefined => {
  const plugin = pluginOfKey(key);
  return plugin === undefined
    ? owner
    : { pattern: `plugin/${plugin}/*`, by: { subject: `${pluginSubjectPrefix}${plugin}` } };
};

/** True for the subject that owns, or one with a scope of exactly the owner's text. */
export const isOwner = (subject: Subject, by: StateOwner): boolean =>
  'subject' in by ? subject.id === by.subject : subject.scopes.includes(by.scope);
