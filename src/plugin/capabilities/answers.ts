import type { Json } from '../../../domain/event.ts';
import type { Problem, Result } from '../../errors.ts';
import type { WishAnswer } from '../sandbox/sandbox.ts';

export const granted = (value: Json): WishAnswer => ({ ok: true, value });

export const refuse = (code: string, message: string): WishAnswer => ({ ok: false, code, message });

/** What the hub itself does not let the plugin do was not granted to it either. */
export const refusalOf = ({ code, detail }: Problem): WishAnswer =>
  refuse(code === 'forbidden' ? 'not_granted' : code, detail);

/** @param tell of what the hub answers with, what the plugin is told. */
export const answerWith = <Value>(result: Result<Value>, tell: (value: Value) => Json): WishAnswer =>
  result.ok ? granted(tell(result.value)) : refusalOf(result.problem);
