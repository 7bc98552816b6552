/** Who was in a process when it ended, and what is known of it. */
export type Scene<Guest> = {
  readonly members: readonly Guest[];
  /** Named by the sandbox process. */
  readonly culprits: readonly Guest[];
  /** Had a call open (`initialize` is one), or did something of their own. */
  readonly running: readonly Guest[];
  /** True of those who were near an earlier death that is not explained yet. */
  readonly marked: (guest: Guest) => boolean;
};

/** Neither: there is nothing to go by. Suspects are two at least, and it was one of them. */
export type Blame<Guest> = { readonly culprits: readonly Guest[]; readonly suspects: readonly Guest[] };

/** Whose fault a death is (docs/adr/0048-supervising-plugins.md). */
export const blame = <Guest>({ members, culprits, running, marked }: Scene<Guest>): Blame<Guest> => {
  if (culprits.length > 0) return { culprits, suspects: [] };
  const near = running.length > 0 ? running : members.filter(marked);
  return near.length > 1 ? { culprits: [], suspects: near } : { culprits: near, suspects: [] };
};

/** Parts of nearly the same size, `most` of them at most, none empty. */
export const shareOut = <Item>(items: readonly Item[], most: number): readonly (readonly Item[])[] => {
  const parts = Math.min(items.length, most);
  return Array.from({ length: parts }, (_, part) => items.filter((_, index) => index % parts === part));
};
