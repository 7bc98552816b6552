import { keySubjectPrefix, pluginSubjectPrefix } from './access.ts';

const maxSubjectLength = 256;
/** What the hub calls itself, and what it calls its clients in protected mode. */
const reservedSubjects: ReadonlySet<string> = new Set(['system', 'local']);

const reserved = (name: string): string => `(${name}) is reserved`;

/** Why an API key cannot have this subject, or undefined. It may stand in events and log lines. */
export const keySubjectFault = (name: string): string | undefined => {
  if (name === '' || name.length > maxSubjectLength || !name.isWellFormed() || /\p{Cc}/u.test(name)) {
    return `is not a text of 1 to ${maxSubjectLength} characters`;
  }
  return reservedSubjects.has(name) || name.startsWith(pluginSubjectPrefix) ? reserved(name) : undefined;
};

/** Why this cannot be the name of a client that comes with a token or a key pair of its own, or undefined. */
export const subjectNameFault = (name: string): string | undefined =>
  keySubjectFault(name) ?? (name.startsWith(keySubjectPrefix) ? reserved(name) : undefined);

/** The scopes of a text in which spaces stand between them, as in a token. */
export const scopesOf = (text: string): readonly string[] => text.split(' ').filter((part) => part !== '');
