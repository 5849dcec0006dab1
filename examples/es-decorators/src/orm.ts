export const orm = { clientUrl: process.env['DATABASE_URL'] ?? 'postgres://localhost:5432/app' };
