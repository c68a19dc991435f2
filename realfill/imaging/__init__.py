"""Operations on pictures as arrays: resizing, gray values, correlation, pyramids, regions."""
