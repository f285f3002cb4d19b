/** The mark: a container at the edge, with the point where its tunnel ends. */
export function Logo({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#3a4fc4" />
      <path
        d="M8.5 11.2 16 7l7.5 4.2v9.6L16 25l-7.5-4.2zM8.5 11.2 16 15.4l7.5-4.2M16 15.4V25"
        fill="none"
        stroke="#fff"
        strokeWidth="2"
        strokeLinejoin="round"
      />
      <circle cx="16" cy="15.4" r="2.6" fill="#8ff0c8" />
    </svg>
  );
}
