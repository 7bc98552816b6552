import { isJsonObject, type JsonObject } from '../../domain/json.ts';

/** The objects of a list that an answer has under `name`; none where it has no such list. */
export const listOf = (answer: JsonObject, name: string): readonly JsonObject[] => {
  const list = answer[name];
  return Array.isArray(list) ? list.filter(isJsonObject) : [];
};
