"""`python -m edgetainer_agent`."""

from __future__ import annotations

import sys

from edgetainer_agent.main import main

sys.exit(main())
