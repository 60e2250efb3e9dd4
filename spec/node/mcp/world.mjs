// An MCP server, and the authorization server that its clients log in at: what
// stands behind, and beside, the gateway in the spec. Prints one line of JSON with
// their URLs, and ends when its input does.
import { createServer } from 'node:http'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { SignJWT, exportJWK, generateKeyPair } from 'jose'

const listen = (handler) => new Promise((resolve) => {
  const server = createServer(handler)
  server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`))
})

const body = async (request) => {
  let text = ''
  for await (const chunk of request) text += chunk
  return text
}

// The MCP server trusts the gateway: it tells what that says of the caller.
const upstream = await listen(async (request, response) => {
  const server = new McpServer({ name: 'demo', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Tells who is calling.' }, async () => ({
    content: [{ type: 'text', text: request.headers['x-credential-identifier'] ?? 'nobody' }],
  }))
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true })
  await server.connect(transport)
  const text = await body(request)
  await transport.handleRequest(request, response, text ? JSON.parse(text) : undefined)
})

const { publicKey, privateKey } = await generateKeyPair('ES256')
const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }

// The authorization server gives everybody the scopes and the resource (RFC 8707)
// that the client asks for: a code stands for both.
let issuer
issuer = await listen(async (request, response) => {
  const send = (status, value) => {
    response.writeHead(status, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify(value))
  }
  switch (request.url.split('?')[0]) {
    case '/.well-known/oauth-authorization-server':
    case '/.well-known/openid-configuration':
      return send(200, {
        issuer,
        jwks_uri: `${issuer}/keys`,
        authorization_endpoint: `${issuer}/authorize`,
        token_endpoint: `${issuer}/token`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['ES256'],
        code_challenge_methods_supported: ['S256'],
        grant_types_supported: ['authorization_code'],
        token_endpoint_auth_methods_supported: ['none'],
      })
    case '/keys':
      return send(200, { keys: [jwk] })
    case '/authorize': {
      const asked = new URL(request.url, issuer).searchParams
      const code = Buffer.from(JSON.stringify({ scope: asked.get('scope'), resource: asked.get('resource') })).toString('base64url')
      response.writeHead(302, { Location: `${asked.get('redirect_uri')}?code=${code}` })
      return response.end()
    }
    case '/token': {
      const form = new URLSearchParams(await body(request))
      const { scope, resource } = JSON.parse(Buffer.from(form.get('code'), 'base64url'))
      const token = await new SignJWT({ scope: scope ?? '', client_id: 'agent' })
        .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'at+jwt' })
        .setIssuer(issuer).setSubject('agent').setAudience(resource ?? 'none')
        .setIssuedAt().setExpirationTime('5m').sign(privateKey)
      return send(200, { access_token: token, token_type: 'Bearer', expires_in: 300, scope: scope ?? '' })
    }
  }
  send(404, { error: 'not found' })
})

console.log(JSON.stringify({ upstream, issuer }))
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
