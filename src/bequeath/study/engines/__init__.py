"""Where a study's tasks are done: in this process, in several, or on a Ray cluster; same tasks, same store."""
