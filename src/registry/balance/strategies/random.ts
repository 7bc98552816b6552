import { type Choose, candidateAt, drawEvenly } from '../turn.ts';

/** Each as likely, whatever its weight. */
export const random: Choose = (turn) => candidateAt(turn, drawEvenly(turn));
