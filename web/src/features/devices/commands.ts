/** What to run on a new device. The token goes into a file: an argument would be visible to all. */
export function agentCommands(server: string, token: string): string {
  return [
    "sudo mkdir -p /etc/edgetainer",
    "sudo tee /etc/edgetainer/agent.yaml >/dev/null <<'EOF'",
    `server_url: ${server}`,
    "state_dir: /var/lib/edgetainer",
    "token_file: /etc/edgetainer/token",
    "#ca_file: /etc/edgetainer/ca.pem",
    "EOF",
    `(umask 077; echo '${token}' | sudo tee /etc/edgetainer/token >/dev/null)`,
    "sudo edgetainer-agent",
  ].join("\n");
}
