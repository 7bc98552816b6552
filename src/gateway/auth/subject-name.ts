import { pluginSubjectPrefix } from '../../../domain/access.ts';

const maxSubjectLength = 256;
/** What the hub calls itself, and what it calls its clients in protected mode. */
const reservedSubjects: ReadonlySet<string> = new Set(['system', 'local']);

/** Why this cannot be the name of a client, or undefined. It may stand in events and log lines. */
export const subjectNameFault = (name: string): string | undefined => {
  if (name === '' || name.length > maxSubjectLength || !name.isWellFormed() || /\p{Cc}/u.test(name)) {
    return `is not a text of 1 to ${maxSubjectLength} characters`;
  }
  const isReserved = reservedSubjects.has(name) || name.startsWith(pluginSubjectPrefix);
  return isReserved ? `(${name}) is reserved` : undefined;
};

/** The scopes of a text in which spaces stand between them, as in a token. */
export const scopesOf = (text: string): readonly string[] => text.split(' ').filter((part) => part !== '');
