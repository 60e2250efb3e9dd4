// An MCP client that knows the server's URL, and finds out all else by itself: where
// to log in, and for what. Prints what the tool "whoami" says.
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const url = new URL(process.argv[2])
const kept = {}
let code
const authProvider = {
  redirectUrl: 'http://127.0.0.1/callback',
  clientMetadata: { redirect_uris: ['http://127.0.0.1/callback'] },
  clientInformation: () => ({ client_id: 'agent' }),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens },
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => { kept.verifier = verifier },
  redirectToAuthorization: async (page) => { // where a person would log in
    const answer = await fetch(page, { redirect: 'manual' })
    code = new URL(answer.headers.get('location')).searchParams.get('code')
  },
}
const connect = async () => {
  const client = new Client({ name: 'spec', version: '1.0.0' })
  const transport = new StreamableHTTPClientTransport(url, { authProvider })
  try {
    await client.connect(transport)
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || !code) throw error
    await transport.finishAuth(code)
    code = undefined
    return connect()
  }
  return client
}
const client = await connect()
const result = await client.callTool({ name: 'whoami', arguments: {} })
console.log(result.content[0].text)
await client.close()
