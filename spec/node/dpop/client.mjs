// Calls a URL with a token that is bound to a key, as a client with oauth4webapi does, and
// prints what came of each try: twice, or as often as CALLS says, PAUSE milliseconds apart.
import { setTimeout } from 'node:timers/promises'
import * as oauth from 'oauth4webapi'

const { d, ...jwk } = JSON.parse(process.env.KEY)
const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
const keys = {
  privateKey: await crypto.subtle.importKey('jwk', { d, ...jwk }, algorithm, false, ['sign']),
  publicKey: await crypto.subtle.importKey('jwk', jwk, algorithm, true, ['verify']),
}
const options = { DPoP: oauth.DPoP({ client_id: 'spec' }, keys), [oauth.allowInsecureRequests]: true }
const call = () =>
  oauth.protectedResourceRequest(process.env.TOKEN, 'GET', new URL(process.argv[2]), undefined, undefined, options)

const outcomes = []
for (let i = 0; i < Number(process.env.CALLS ?? 2); i++) {
  if (i > 0) await setTimeout(Number(process.env.PAUSE ?? 0))
  let response
  try {
    response = await call()
  } catch (err) {
    if (!oauth.isDPoPNonceError(err)) throw err
    outcomes.push('use_dpop_nonce')
    response = await call()
  }
  const echo = await response.json()
  outcomes.push(`${response.status} ${echo.headers['X-Consumer-Username']}`)
}
console.log(outcomes.join(', '))
