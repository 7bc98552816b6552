/** A sample of the event of the audit, and what makes its shape wrong. */
export const auditSamples = {
  AccessDenied: {
    stream: 'access-2026-01-31',
    data: {
      subject: null,
      address: '192.0.2.1',
      code: 'unauthorized',
      requirement: 'The token has expired',
      minute: '2026-01-31T23:59:00.000Z',
      count: 3,
    },
    wrong: [
      ['subject', { subject: undefined }],
      ['address', { address: 1 }],
      ['code', { code: 'not_found' }],
      ['requirement', { requirement: null }],
      ['minute', { minute: '2026-02-01T00:00:00.000Z' }],
      ['minute', { minute: 0 }],
      ['count', { count: 0 }],
      ['count', { count: 1.5 }],
    ],
  },
} as const;
