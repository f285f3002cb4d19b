import { createContext, useContext, useSyncExternalStore } from "react";
import { session } from "../../api/client";
import type { SessionState } from "../../api/session";
import type { User } from "../../api/types";

export function useSession(): SessionState {
  return useSyncExternalStore(session.subscribe, session.getState);
}

export const UserContext = createContext<User | null>(null);

/** The signed-in user; only below the guard. */
export function useUser(): User {
  const user = useContext(UserContext);
  if (!user) throw new Error("no user: the guard is missing");
  return user;
}

/** What the user's role permits. The server decides; this only hides what it would refuse. */
export function permissions(role: User["role"]) {
  const operator = role === "operator" || role === "admin";
  const admin = role === "admin";
  return {
    addDevice: admin,
    editDevice: operator,
    deleteDevice: admin,
    hostTerminal: admin,
    containerTerminal: operator,
    expose: operator,
    exposePublicly: admin,
    deploy: operator,
  };
}

export function usePermissions() {
  return permissions(useUser().role);
}
