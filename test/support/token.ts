import jwt from 'jsonwebtoken';

export const jwtSecret = 'a-secret-of-the-tests-with-more-than-32-bytes';

/** A token of the hub under test: `scope` space-separated, valid for `ttlSec` from now. */
export const signToken = (subject: string, scope: string, ttlSec = 600): string =>
  jwt.sign({ scope }, jwtSecret, { subject, expiresIn: ttlSec, algorithm: 'HS256' });
