import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useRouterState } from "@tanstack/react-router";
import { deviceQuery } from "../api/queries";

const SECTIONS: Record<string, string> = { devices: "Devices", software: "Software" };

/** Where one is. On a phone the page's own name is enough. */
export function Breadcrumb() {
  const path = useRouterState({ select: (router) => router.location.pathname });
  const section = path.split("/")[1] ?? "";
  const { deviceId } = useParams({ strict: false });
  const label = SECTIONS[section];
  if (!label) return null;
  return (
    <nav aria-label="Breadcrumb">
      <ol>
        <li>
          {deviceId ? <Link to="/devices">{label}</Link> : <span aria-current="page">{label}</span>}
        </li>
        {deviceId && (
          <li>
            <span aria-hidden="true">/</span>
            <DeviceName id={deviceId} />
          </li>
        )}
      </ol>
    </nav>
  );
}

function DeviceName({ id }: { id: string }) {
  const { data } = useQuery({ ...deviceQuery(id), enabled: false });
  return <span aria-current="page">{data?.name ?? "…"}</span>;
}
