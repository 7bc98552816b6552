const isGiven = <Value>(value: Value): value is Exclude<Value, undefined> => value !== undefined;

/** The properties that were given: absent ones must not stand in the input of a decider as `undefined`. */
export const given = <Value extends object>(
  value: Value,
): { [Key in keyof Value]?: Exclude<Value[Key], undefined> } => {
  const present: { [Key in keyof Value]?: Exclude<Value[Key], undefined> } = {};
  for (const key in value) {
    const property = value[key];
    if (isGiven(property)) present[key] = property;
  }
  return present;
};
