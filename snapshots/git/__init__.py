"""The repository: git, its objects, and the folder that only root may enter."""
