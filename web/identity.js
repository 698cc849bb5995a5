/** Whom a token stands for, as far as it shows: tabs share a connection only as the same user. Loaded where tabs share. */

/**
 * @param {import('./credentials.js').Credentials} credentials
 * @returns {Promise<string>} empty without a token, or if the application's function failed
 */
export async function identityOf(credentials) {
  const token = await credentials.token().catch(() => '')
  if (!token) return ''
  try {
    // A JWT names its user, however often it is renewed.
    return 'user ' + JSON.parse(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))).sub
  } catch {
    return 'token ' + hashOf(token)
  }
}

/** A number that shows no token. @param {string} text */
function hashOf(text) {
  let hash = 0
  for (let index = 0; index < text.length; index++) hash = (hash * 31 + text.charCodeAt(index)) % 0xffffffffffff
  return hash
}
