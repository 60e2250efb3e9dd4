// A plain authorizer for a REST API (TOKEN), to measure ours beside.
import { JwtVerifier } from "aws-jwt-verify";

const verifier = JwtVerifier.create({
  issuer: process.env.ISSUER,
  audience: process.env.AUDIENCE,
  jwksUri: process.env.ISSUER + "/keys",
});

export async function handler(event) {
  const token = event.authorizationToken?.replace(/^Bearer /, "");
  if (!token) throw new Error("Unauthorized");
  const [api, stage] = event.methodArn.split("/");
  const answer = (Effect, principalId, context) => ({
    principalId,
    policyDocument: {
      Version: "2012-10-17",
      Statement: [{ Action: "execute-api:Invoke", Effect, Resource: `${api}/${stage}/*` }],
    },
    context,
  });
  try {
    const claims = await verifier.verify(token);
    return answer("Allow", claims.sub, { userId: claims.sub, role: claims.role });
  } catch {
    return answer("Deny", "refused", {});
  }
}
