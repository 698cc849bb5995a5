/** Whom a token stands for, as far as it shows: tabs share a connection only as the same user. Loaded where tabs share. */
/**
 * @param {import('./credentials.js').Credentials} credentials
 * @returns {Promise<string>} empty without a token, or if the application's function failed
 */
export declare function identityOf(credentials: import('./credentials.js').Credentials): Promise<string>;
