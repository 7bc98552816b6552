import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { type UrlFacts, type UrlQuestion, urlParts } from '../guest/url.ts';

/** What the child answers by itself, without the hub. All of it comes from a plugin: nothing throws. */

const maxRandomBytes = 65_536;
const maxUrlChars = 65_536;

const urlAnswer = (text: string): string => {
  if (text.length > maxUrlChars) return '';
  try {
    // The runtime writes it; whatever else stands there is no URL.
    const question: UrlQuestion = JSON.parse(text);
    const url =
      'base' in question ? new URL(`${question.href}`, `${question.base}`) : new URL(`${question.href}`);
    if ('part' in question) {
      if (!urlParts.includes(question.part)) return '';
      url[question.part] = `${question.value}`;
    }
    const facts: Partial<Record<keyof UrlFacts, string>> = { origin: url.origin };
    for (const part of urlParts) facts[part] = url[part];
    return JSON.stringify(facts);
  } catch {
    return '';
  }
};

export const answerTo = (what: unknown, text: unknown): string => {
  if (typeof text !== 'string') return '';
  if (what === 'uuid') return randomUUID();
  if (what === 'url') return urlAnswer(text);
  const bytes = Number(text);
  if (what !== 'random' || !Number.isSafeInteger(bytes) || bytes < 0 || bytes > maxRandomBytes) return '';
  return randomBytes(bytes).toString('hex');
};

/** @param text JSON of key and text. @returns JSON of the hex digits, or undefined. */
export const hmacAnswer = (text: string): string | undefined => {
  try {
    const [key, data]: unknown[] = JSON.parse(text);
    if (typeof key !== 'string' || typeof data !== 'string') return undefined;
    return JSON.stringify(createHmac('sha256', key).update(data, 'utf8').digest('hex'));
  } catch {
    return undefined;
  }
};
