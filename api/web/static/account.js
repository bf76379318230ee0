// Who is signed in, where the service asks for keys.
export async function showAccount() {}
